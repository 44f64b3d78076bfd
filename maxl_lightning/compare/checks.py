"""What the configurations of one comparison must agree in; all is checked before anything runs."""

from collections.abc import Sequence
from typing import Any

from maxl_lightning.compare.settings import Method, arguments, class_name, differences, flattened

__all__ = ["check_methods", "data_of", "unequal_budgets"]

OWN = ("auxiliary_labels", "psi", "num_workers", "pin_memory", "eval_batch_size")
"""Arguments of the data in which methods may differ: what a method is, and what changes no number."""


def check_methods(methods: Sequence[Method], new_splits: bool) -> None:
    """Refuse configurations that cannot be compared.

    Args:
        methods: all of one comparison.
        new_splits: whether the seed decides the splits of the data.

    Raises:
        ValueError: naming the configuration, what is wrong with it and the remedy.
    """
    for method in methods:
        check_runnable(method)
        if new_splits and "split_seed" not in arguments(method.settings["data"]):
            raise ValueError(f"the data of {method.config} have no argument split_seed: leave out --new_splits.")
    check_same_data(methods)


def check_runnable(method: Method) -> None:
    """Refuse a configuration whose runs would leave no results, or would overwrite each other's.

    Raises:
        ValueError: naming what to change.
    """
    for flag in ("fast_dev_run", "barebones"):
        if method.trainer.get(flag):
            raise ValueError(f"{method.config} sets trainer.{flag}, with which a run leaves no results: remove it.")
    if method.trainer.get("max_epochs") == -1:
        raise ValueError(f"{method.config} sets trainer.max_epochs to -1, without an end: give a number of epochs.")
    for name, value in monitored(method).items():
        if str(value).startswith("test/"):
            raise ValueError(
                f"{method.config} lets its {name} choose by {value}, a number of the test images: monitor one of "
                "validation images, such as val/accuracy."
            )
    for callback in method.callbacks:
        if arguments(callback).get("dirpath") is not None:
            raise ValueError(
                f"{method.config} gives its {class_name(callback)} the folder {arguments(callback)['dirpath']}, where "
                "the checkpoints of all seeds would overwrite each other: remove dirpath."
            )


def monitored(method: Method) -> dict[str, Any]:
    """Return what callbacks and schedulers choose by, by their names."""
    model = flattened(method.settings["model"], "model")
    schedulers = {key.split(".")[-2]: value for key, value in model.items() if key.endswith(".monitor")}
    return schedulers | {class_name(callback): arguments(callback).get("monitor") for callback in method.callbacks}


def check_same_data(methods: Sequence[Method]) -> None:
    """Refuse methods that see other images than the first one does.

    Raises:
        ValueError: naming each key that differs.
    """
    first = methods[0]
    for method in methods[1:]:
        differing = differences(data_of(first), data_of(method))
        if differing:
            values = ", ".join(f"{key} ({a!r} and {b!r})" for key, (a, b) in differing.items())
            raise ValueError(
                f"{first.config} and {method.config} differ in {values}: methods can only be compared on the same "
                "images. Change the configurations, or set it for all runs, as an option of this command."
            )


def data_of(method: Method) -> dict[str, Any]:
    """Return the data's class and those of its arguments that decide which images a run sees."""
    data = method.settings["data"]
    kept = {name: value for name, value in arguments(data).items() if name not in OWN}
    return flattened({"class_path": data.get("class_path"), "init_args": kept}, "data")


def unequal_budgets(methods: Sequence[Method]) -> list[str]:
    """Return a sentence for each limit of training that is not the same for all methods."""
    limits = {"epochs of the network": {m.name: m.network_epochs for m in methods}}
    for flag in ("max_steps", "max_time", "limit_train_batches"):
        limits[f"trainer.{flag}"] = {m.name: m.trainer.get(flag) for m in methods}
    sentences = []
    for name, values in limits.items():
        if any(value != values[methods[0].name] for value in values.values()):
            shown = ", ".join(f"{method} {value:g}" if isinstance(value, float) else f"{method} {value}"
                              for method, value in values.items())  # fmt: skip
            sentences.append(f"the methods are trained for unequal times: {name}: {shown}.")
    return sentences
