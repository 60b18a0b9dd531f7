from tests.models.catalogue.conftest import cache, hub

__all__ = ["cache", "hub"]
