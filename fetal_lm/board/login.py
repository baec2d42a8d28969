"""Who wants to send something to W&B must be logged in: a clear refusal instead of a question that waits."""

from __future__ import annotations

import os

import wandb

from fetal_lm.errors import InputError


def require_login() -> None:
    """Makes sure that there are credentials, without asking for them and without the network.

    Raises:
        InputError: there are none, they have not the form of a key, or WANDB_MODE forbids to send.
    """
    mode = os.environ.get("WANDB_MODE", "online")
    if mode != "online":
        raise InputError(f"WANDB_MODE={mode} keeps W&B from sending; unset it for this command")
    try:
        logged_in = wandb.login(prompt=False, verify=False)
    except wandb.errors.Error as error:
        raise InputError(f"W&B refuses the login: {error}; run `wandb login --relogin`") from error
    if not logged_in:
        raise InputError(
            "not logged in to W&B; run `wandb login`, or set WANDB_API_KEY (and WANDB_BASE_URL for your own server)"
        )
