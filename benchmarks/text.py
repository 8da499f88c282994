"""What the tree adds to a text model: ``python benchmarks/text.py``.

Times `NBDT.predict` on 32 raw strings, and its parts alone as a user of transformers writes them:
the tokenizer's own call, then the network. Both run turn about, on two threads, on networks of
BERT's shape with random weights and a tokenizer of WordPiece. The mark: at most 1.05.
"""

import random

import torch
import transformers
from timing import compare, machine
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

import nbdt

BATCH = 32
MARK = 1.05
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
SHAPES = {"6 layers of 128": (6, 128), "4 layers of 312": (4, 312)}
CLASSES = 20


def tokenizer(words: list[str]) -> transformers.PreTrainedTokenizerFast:
    vocabulary = {word: index for index, word in enumerate([*SPECIAL, *words])}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, pad_token="[PAD]")


def main() -> None:
    torch.set_num_threads(2)
    torch.manual_seed(0)
    chance = random.Random(0)
    words = ["".join(chance.choices("abcdefghij", k=6)) for _ in range(2000)]
    texts = [" ".join(chance.choices(words, k=chance.randint(10, 60))) for _ in range(BATCH)]
    reads = tokenizer(list(dict.fromkeys(words)))
    print(f"{BATCH} texts of 10 to 60 words; {machine()}; medians in ms")
    for name, (layers, width) in SHAPES.items():
        config = transformers.BertConfig(
            vocab_size=2100,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=4,
            intermediate_size=4 * width,
            num_labels=CLASSES,
        )
        network = transformers.BertForSequenceClassification(config).eval()
        model = nbdt.NBDT(network, nbdt.induce(network), preprocessing=reads)

        def alone(network: torch.nn.Module = network) -> torch.Tensor:
            with torch.no_grad():
                batch = reads(
                    texts, padding=True, truncation=True, max_length=512, return_tensors="pt"
                )
                return network(**batch).logits.argmax(1)

        for rule in ("soft", "hard"):
            one, other = compare(alone, lambda model=model, rule=rule: model.predict(texts, rule))
            verdict = "met" if other / one <= MARK else "MISSED"
            times = f"{1e3 * one:9.1f}{1e3 * other:9.1f}"
            print(f"{name:16} {rule:5}{times}{other / one:8.3f}   {verdict}")


if __name__ == "__main__":
    main()
