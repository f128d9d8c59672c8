class Sessions:
    def __init__(self, root):
        pass
