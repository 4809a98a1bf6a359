"""Numbers and errors in sentences."""


def counted(number: int, noun: str) -> str:
    """The number and its noun.

    >>> counted(1, "picture"), counted(0, "picture")
    ('1 picture', '0 pictures')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def rounded(rate: float) -> str:
    """A rate with as many digits as people want of it.

    >>> rounded(0.284), rounded(33.4)
    ('0.3', '33')
    """
    return f"{rate:.0f}" if rate >= 10 else f"{rate:.1f}"


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its kind where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
