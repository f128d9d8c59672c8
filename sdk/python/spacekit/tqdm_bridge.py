"""gr.Progress(track_tqdm=True): bars of the tqdm library become progress of the request."""

from . import context

_following = False


def follow():
    """Patches tqdm once, if the app has it. Bars outside of a request are not touched."""
    global _following
    if _following:
        return
    _following = True
    try:
        from tqdm.std import tqdm
    except ImportError:
        context.say_once("Progress(track_tqdm=True): tqdm is not installed, nothing to follow")
        return
    update = tqdm.update

    def reporting(self, n=1):
        result = update(self, n)
        if context.current_call.get() is not None:
            from .messages import Progress

            Progress()((self.n, self.total), desc=self.desc or None, unit=self.unit)
        return result

    tqdm.update = reporting
