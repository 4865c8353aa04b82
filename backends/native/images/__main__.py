"""Build images into a folder: ``python -m backends.native.images FOLDER [FORM ...]``."""

import sys
from pathlib import Path

from backends.native.images.folder import DEBIAN_12, ImageFolder
from backends.protocol import Form, Unavailable


def main(arguments: list[str]) -> int:
    """Build the built-in images that are missing, in the forms given or as containers'. Returns the exit status."""
    known = {str(form) for form in Form}
    if not arguments or set(arguments[1:]) - known:
        print(f"usage: python -m backends.native.images FOLDER [{' | '.join(sorted(known))} ...]", file=sys.stderr)
        return 2
    images = ImageFolder(Path(arguments[0]))
    for form in map(Form, arguments[1:] or [Form.CONTAINER]):
        try:
            images.build(DEBIAN_12.name, form)
        except Unavailable as e:
            print(f"{DEBIAN_12.name}: {e}", *getattr(e, "__notes__", []), sep="\n", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
