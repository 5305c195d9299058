"""The cascade: full resolution with the masks of the low resolution as further input channels."""

from planners.contracts import ConfigurationName, Reason

FIRST: ConfigurationName = "3d_lowres"
SECOND: ConfigurationName = "3d_cascade_fullres"


def previous_stage(name: ConfigurationName) -> ConfigurationName | None:
    """What a configuration builds on."""
    return FIRST if name == SECOND else None


def reasons(name: ConfigurationName, masks: int) -> tuple[Reason, ...]:
    """What the second stage sees, and how far its scores can be trusted; nothing for other configurations."""
    if name != SECOND:
        return ()
    return (
        Reason(
            rule="network.previous_stage",
            configuration=SECOND,
            saw=f"{FIRST} sees the whole image, {SECOND} its detail",
            chose=f"{masks} masks of {FIRST} as further input channels, disturbed in training",
            because="each case's masks come from the fold that never trained on it. The other folds did train on cases "
            "that validate this stage, so its out-of-fold scores can be slightly optimistic; a hold-out's are not",
            source="Isensee et al., Nature Methods 18 (2021), cascade",
        ),
    )
