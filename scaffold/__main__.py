"""The first and the last lines of the `scaffold` command, around everything that it imports."""

import contextlib
import gc
import os
import sys


def _in_utf8() -> None:
    """Begin anew where the system's encoding is another one: paths, labels and compose.yaml are in UTF-8.

    The same folder would otherwise be another text, and with it another project, in another locale.
    """
    if sys.getfilesystemencoding() == "utf-8" or not sys.orig_argv[1:]:
        return
    # What is printed stays readable where it is printed.
    printed = sys.stdout.encoding if sys.stdout else "utf-8"
    os.environ.setdefault("PYTHONIOENCODING", f"{printed}:backslashreplace")
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606 - the same program


def main() -> None:
    """Run the command line and exit; Ctrl-C ends it with 130, also while it still imports."""
    _in_utf8()
    # Nearly all that a command makes lives until its end: looking through it again and again takes 10 ms.
    gc.set_threshold(50_000)
    # A stream that was closed gets its own number back, before another file takes it.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
    try:
        from scaffold.cli import app

        code = app.run(sys.argv[1:])
    except KeyboardInterrupt:
        sys.stderr.write("error: Interrupted.\n")
        code = 130
    with contextlib.suppress(OSError):
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    # All is said and done; taking the interpreter apart would take another 20 ms.
    os._exit(code)


if __name__ == "__main__":
    main()
