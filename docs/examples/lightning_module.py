"""Tree supervision in Lightning: a module that trains, and a callback that measures the tree.

Run it: ``python lightning_module.py`` tunes a small network to its tree, on handwritten digits.
"""

import lightning
import torch
from torch.utils.data import DataLoader, TensorDataset

import nbdt
from nbdt.classifiers import build
from nbdt.data.digits import load_digits
from nbdt.evaluation import AccuracyByRule


class TunedToTree(lightning.LightningModule):
    """The loss is all that tree supervision takes; progress drives its schedules."""

    def __init__(self, model: nbdt.NBDT, learning_rate: float = 0.01) -> None:
        super().__init__()
        self.model, self.learning_rate = model, learning_rate
        self.loss = nbdt.TreeSupervisionLoss(model.hierarchy, tree_weight=nbdt.Ramp(0, 5))

    def training_step(self, batch, batch_index):
        """The loss of the network's logits."""
        x, y = batch
        progress = self.global_step / self.trainer.estimated_stepping_batches
        return self.loss(self.model.logits(x), y, progress=progress)

    def validation_step(self, batch, batch_index):
        """What `MeasureTree` counts."""
        x, y = batch
        return {"logits": self.model.logits(x), "labels": y}

    def configure_optimizers(self):
        """Any optimizer will do."""
        return torch.optim.AdamW(self.model.network.parameters(), self.learning_rate)


class MeasureTree(lightning.Callback):
    """Logs the accuracy of the network and of its tree, soft and hard, after every epoch."""

    def on_validation_epoch_start(self, trainer, module):
        """Counts from zero."""
        self.counted = AccuracyByRule(module.model.hierarchy)

    def on_validation_batch_end(self, trainer, module, outputs, batch, batch_index):
        """Counts a batch."""
        model = module.model
        self.counted.update(model.predictions(outputs["logits"], labels=outputs["labels"]))

    def on_validation_epoch_end(self, trainer, module):
        """Logs what was counted."""
        table = self.counted.compute()
        for row in table.rows:
            name = f"{row.rule} {row.score}" if row.rule else "network"
            module.log(f"accuracy/{name}", row.accuracy)


def main(epochs: int = 3) -> tuple[nbdt.NBDT, dict[str, float]]:
    """Trains on 1,400 digits; gives the model and its accuracies on the others."""
    lightning.seed_everything(0, verbose=False)
    digits = load_digits()
    data = TensorDataset(digits.images, digits.labels)
    train, val = torch.utils.data.random_split(data, [1400, len(data) - 1400])

    network = build("nbdt:digits-cnn", num_classes=10, in_channels=1)
    model = nbdt.NBDT(network, nbdt.load_hierarchy("digits/shape"), score="mean")
    trainer = lightning.Trainer(
        max_epochs=epochs, accelerator="cpu", callbacks=[MeasureTree()], logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(TunedToTree(model), DataLoader(train, 64, shuffle=True), DataLoader(val, 256))
    return model.eval(), {name: float(value) for name, value in trainer.callback_metrics.items()}


if __name__ == "__main__":
    for name, value in main()[1].items():
        print(f"{name}: {value:.1%}")
