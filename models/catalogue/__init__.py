"""Which captioners there are and where: references, downloads, and those on this machine.

Nothing here loads Keras or TensorFlow. `download` and `installed` are not exported: they need
huggingface_hub.
"""

from models.catalogue.architecture import (
    PUBLISHED,
    WEIGHTS,
    Architecture,
    CaptionerError,
    UnknownArchitecture,
    read_architecture,
    read_licence,
)
from models.catalogue.reference import (
    FORMS,
    SHIPPED_FOLDER,
    CaptionerReference,
    local_folder,
    reference_of,
)
from models.catalogue.state import read_measurement, state_folder, write_measurement

__all__ = [
    "FORMS",
    "PUBLISHED",
    "SHIPPED_FOLDER",
    "WEIGHTS",
    "Architecture",
    "CaptionerError",
    "CaptionerReference",
    "UnknownArchitecture",
    "local_folder",
    "read_architecture",
    "read_licence",
    "read_measurement",
    "reference_of",
    "state_folder",
    "write_measurement",
]
