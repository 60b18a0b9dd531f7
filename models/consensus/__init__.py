"""Consensus: the caption of a beam that agrees best with those of similar training images.

`search` and `fitting`, which load TensorFlow and tqdm, are not exported here.
"""

from models.consensus.index import Consensus, ConsensusConfig
from models.consensus.storage import (
    ConsensusCard,
    DevScores,
    load_consensus,
    save_consensus,
)

__all__ = [
    "Consensus",
    "ConsensusCard",
    "ConsensusConfig",
    "DevScores",
    "load_consensus",
    "save_consensus",
]
