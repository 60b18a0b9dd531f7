"""The choice of what captions: a captioner of this machine in an engine, or an endpoint."""

from dataclasses import dataclass

from inference.captioning import Precision
from inference.endpoints import Endpoint, EndpointCaptioner
from inference.engine import Engine
from models.catalogue import CaptionerReference, local_folder


@dataclass(frozen=True, slots=True)
class CaptionerConfig:
    """What captions, and how; the machines of a pool receive it, so it holds no other secrets."""

    reference: CaptionerReference
    """The captioner."""
    precision: Precision = "float32"
    """As for `Engine`."""
    layer: int | None = None
    """As for `Engine`."""
    consensus: bool = True
    """As for `Engine`."""
    endpoint: Endpoint | None = None
    """The endpoint, if the captioner is one."""

    def create(
        self, *, explains: bool = True, standby: bool = False, max_failures: int | None = None
    ) -> Engine | EndpointCaptioner:
        """Create the caption service, which `start` starts.

        Args:
            explains: As for `Engine`.
            standby: As for `Engine`.
            max_failures: As for both.

        Raises:
            CaptionerError: If the captioner is not on this machine.
        """
        if self.endpoint:
            return EndpointCaptioner(self.endpoint, max_failures=max_failures)
        return Engine(
            local_folder(self.reference),
            precision=self.precision,
            layer=self.layer,
            consensus=self.consensus,
            explains=explains,
            standby=standby,
            max_failures=max_failures,
        )
