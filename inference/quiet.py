"""What libraries say of themselves, held back."""

import contextlib
import os
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hold back what TensorFlow and LiteRT write on standard error, unless this fails."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    spoken = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(spoken, held.read())
            raise
        finally:
            os.dup2(spoken, 2)
            os.close(spoken)
