"""Handwritten digits: trained when the worker starts, called in batches.

The data are the 1,797 scanned digits that come with scikit-learn. Two thirds train the model, one
third is held out and never seen by it; `accuracy.py` sends that third through the running server.
"""

from dataclasses import dataclass

from modelyard import Model, batch

SIDE = 8


@dataclass
class Image:
    """8 rows of 8 numbers, from 0 (paper) to 16 (ink)."""

    pixels: list[list[float]]

    def __post_init__(self):
        if len(self.pixels) != SIDE or any(len(row) != SIDE for row in self.pixels):
            raise ValueError(f"an image has {SIDE} rows of {SIDE} numbers")

    def flat(self) -> list[float]:
        """The 64 numbers, row by row."""
        return [pixel for row in self.pixels for pixel in row]


@dataclass
class Digit:
    """What the image shows, and how sure the model is, from 0 to 1."""

    digit: int
    confidence: float


def split():
    """The images to train on, those held out, and what each shows; the same on every call."""
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise RuntimeError("this example needs scikit-learn: pip install scikit-learn") from error
    images, digits = load_digits(return_X_y=True)
    return train_test_split(images, digits, test_size=1 / 3, random_state=7, stratify=digits)


class Digits(Model):
    def setup(self, ctx):
        images, _, digits, _ = split()
        # Platt scaling inside SVC is deprecated; a calibrated classifier does the same, five-fold.
        from sklearn.calibration import CalibratedClassifierCV
        from sklearn.svm import SVC

        classifier = SVC(gamma=0.001, C=10.0)
        self.model = CalibratedClassifierCV(classifier, ensemble=False).fit(images, digits)

    @batch(max_size=32, max_wait_ms=5)
    def predict(self, images: list[Image]) -> list[Digit]:
        """Reads one digit; up to 32 requests are read together."""
        # One column for each digit, in order.
        chances = self.model.predict_proba([image.flat() for image in images])
        return [Digit(int(row.argmax()), round(float(row.max()), 4)) for row in chances]
