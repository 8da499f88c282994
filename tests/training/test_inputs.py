"""Batches are moved and laid out, whatever they are made of."""

import torch

from nbdt.training.inputs import moved


def test_tensors_of_mappings_are_moved_and_all_else_is_left():
    text = ["a", "b"]
    batch = {"ids": torch.zeros(2, 3), "inner": {"mask": torch.ones(2)}, "text": text}
    found = moved(batch, torch.device("meta"))
    assert found["ids"].device.type == found["inner"]["mask"].device.type == "meta"
    assert found["text"] is text
    assert batch["ids"].device.type == "cpu"


def test_only_images_are_stored_pixel_by_pixel():
    device = torch.device("cpu")
    images = torch.arange(2 * 3 * 4 * 5.0).view(2, 3, 4, 5)
    found = moved(images, device, channels_last=True)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(found, images)
    rows = torch.zeros(2, 3)
    assert moved(rows, device, channels_last=True).is_contiguous()
    assert moved(images, device).is_contiguous()
