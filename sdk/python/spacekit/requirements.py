"""What requirements.txt asks for and this base does not have."""


def check(folder):
    pass
