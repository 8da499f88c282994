"""Tree supervision in Hugging Face's Trainer: a loss function, and a callback for its schedules.

Run it: ``python hugging_face_trainer.py`` tunes a tiny image classifier, on handwritten digits.
"""

import tempfile

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import (
    Trainer,
    TrainerCallback,
    TrainingArguments,
    ViTConfig,
    ViTForImageClassification,
    set_seed,
)

import nbdt
from nbdt.data.digits import load_digits
from nbdt.evaluation import accuracy_by_rule


class Pictures(Dataset):
    """Digits as the Trainer wants samples: mappings."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict:
        return {"pixel_values": self.images[index], "labels": self.labels[index]}


class Progress(TrainerCallback):
    """Tells the loss how far training is, for the weights that follow it."""

    def __init__(self, loss: nbdt.TreeSupervisionLoss) -> None:
        self.loss = loss

    def on_step_begin(self, args, state, control, **others):
        """Called by the Trainer."""
        self.loss.progress = state.global_step / state.max_steps


def main(epochs: int = 3) -> tuple[nbdt.NBDT, dict[str, float]]:
    """Trains on 1,400 digits; gives the model and its accuracies on the others."""
    set_seed(0)
    digits = load_digits()
    train = Pictures(digits.images[:1400], digits.labels[:1400])
    val = Pictures(digits.images[1400:], digits.labels[1400:])

    config = ViTConfig(
        image_size=8, patch_size=2, num_channels=1, hidden_size=48, num_hidden_layers=2,
        num_attention_heads=4, intermediate_size=96, num_labels=10,
    )  # fmt: skip
    tree = nbdt.load_hierarchy("digits/shape")
    model = nbdt.NBDT(ViTForImageClassification(config), tree, score="mean")
    loss = nbdt.TreeSupervisionLoss(tree, tree_weight=nbdt.Ramp(0, 5), reduction="sum")

    def compute_loss(outputs, labels, num_items_in_batch=None):
        # The Trainer counts the samples of all accumulated batches, and wants the mean over them.
        return loss(outputs["logits"], labels) / (num_items_in_batch or len(labels))

    def compute_metrics(prediction):
        logits, labels = map(torch.from_numpy, map(np.asarray, prediction))
        table = accuracy_by_rule([(logits, labels)], tree)
        return {
            "network": table.network.accuracy,
            "soft": table.row("soft", "mean").accuracy,
            "hard": table.row("hard", "mean").accuracy,
        }

    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model.network,
            TrainingArguments(
                folder, num_train_epochs=epochs, per_device_train_batch_size=32,
                learning_rate=3e-3, report_to=[], save_strategy="no", logging_strategy="no",
                disable_tqdm=True, use_cpu=True,
            ),
            train_dataset=train,
            eval_dataset=val,
            compute_loss_func=compute_loss,
            compute_metrics=compute_metrics,
            callbacks=[Progress(loss)],
        )  # fmt: skip
        trainer.train()
        return model.eval(), trainer.evaluate()


if __name__ == "__main__":
    for name, value in main()[1].items():
        print(f"{name}: {value:.3f}")
