"""Small complete configurations for tests of the command line."""

import yaml

from maxl_lightning.modules import MAXLModule, MultiTaskModule, SingleTaskModule

TRUNK = {"class_path": "ConvNet4", "init_args": {"in_channels": 1, "channels": [4, 4, 4, 4]}}
NETWORK = {"class_path": "MultiTaskNetwork", "init_args": {"trunk": TRUNK}}
GENERATOR = {"class_path": "LabelGenerator", "init_args": {"trunk": TRUNK}}
MODELS = {
    MAXLModule: {"network": NETWORK, "label_generator": GENERATOR},
    MultiTaskModule: {"network": NETWORK},
    SingleTaskModule: {"network": {"class_path": "Classifier", "init_args": {"trunk": TRUNK}}},
}


def config(folder, module=MAXLModule, **trainer):
    """Write a small complete configuration, and return its path."""
    labels = {"auxiliary_labels": {"class_path": "UniformLabels"}} if module is MultiTaskModule else {}
    best = {"monitor": "val/accuracy", "mode": "max"}
    last = {"filename": "last", "enable_version_counter": False}
    content = {
        "seed_everything": 0,
        "model": {"class_path": module.__name__, "init_args": MODELS[module]},
        "data": {
            "class_path": "DigitsDataModule",
            "init_args": {"num_train": 20, "batch_size": 10, "eval_batch_size": 600, **labels},
        },
        "trainer": {
            "max_epochs": 2,
            "accelerator": "cpu",
            "log_every_n_steps": 1,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "logger": {"class_path": "CSVLogger", "init_args": {"save_dir": str(folder / "runs"), "name": "run"}},
            "callbacks": [{"class_path": "ModelCheckpoint", "init_args": options} for options in (best, last)],
            **trainer,
        },
    }
    path = folder / f"{module.__name__}.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)
