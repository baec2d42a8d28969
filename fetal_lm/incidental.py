"""What an option of the command line does to a result.

Some change none: where files lie, how they are loaded, what is shown and written on the way. Some name what is
compared. Every other makes a variant of a model.
"""

from __future__ import annotations

import re
from typing import Final

_WATCHING: Final = (
    "checkpoint",
    "last_checkpoint",
    "history",
    "learning_rate",
    "epoch_seed",
    "whole_epochs",
    "pruning",
)
"""The package's own callbacks; the metric that selects is `monitor`, and what is pruned has no row."""

INCIDENTAL: Final = (
    "data.root",
    "data.workers",
    "data.cache",
    "data.study_seeds",
    "trainer.enable_",
    "trainer.log_every_n_steps",
    *(f"callbacks.{name}." for name in _WATCHING),
)
"""How their dotted keys begin. A sweep goes on with others of them, and the report makes no variant of them."""

# What a comparison is about or where files go.
_NOT_A_VARIANT: Final = re.compile(
    r"[+~]*(?:(?:model|seed|data\.fold|experiment|ckpt_path)=|(?:logger|paths|hydra|search)[=./@])"
)


def is_incidental(override: str) -> bool:
    """Whether an override of Hydra's command line changes nothing that a result depends on.

    Example:
        >>> [is_incidental(text) for text in ("data.workers=1", "~callbacks.history", "callbacks=ema", "data=hc18")]
        [True, True, False, False]
    """
    key = override.partition("=")[0].lstrip("+~")
    return f"{key}.".startswith(INCIDENTAL)


def is_variant(override: str) -> bool:
    """Whether an override sets a run apart from others of its model, beyond seed and fold.

    Example:
        >>> [is_variant(text) for text in ("loss=mse", "seed=1", "++data.fold=2", "logger.project=a", "data.workers=1")]
        [True, False, False, False, False]
    """
    return not _NOT_A_VARIANT.match(override) and not is_incidental(override)
