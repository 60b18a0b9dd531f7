"""The languages of the page: their catalogues, and which of them a request gets."""

from web.translations.catalogue import ENGLISH, LANGUAGES, Catalogue, catalogue
from web.translations.negotiation import LANGUAGE_PARAMETER, negotiated_language

__all__ = [
    "ENGLISH",
    "LANGUAGES",
    "LANGUAGE_PARAMETER",
    "Catalogue",
    "catalogue",
    "negotiated_language",
]
