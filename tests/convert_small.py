"""A small Keras model, and the command run in this process."""

import keras
import numpy as np
from click.testing import CliRunner, Result
from conftest import lacks

from convert.cli import main
from edge_app.imaging import find_pictures, read_pixels

SIZE = 96


def rescaling(x):
    return keras.layers.Rescaling(1 / 127.5, offset=-1)(x)


def small_classifier(outputs: int = 1, activation: str = "sigmoid", rescale=rescaling):
    """A convolution with preprocessing inside or outside."""
    keras.utils.set_random_seed(5)
    pixels = keras.Input((SIZE, SIZE, 3))
    x = rescale(pixels) if rescale else pixels
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.5)(x)
    return keras.Model(pixels, keras.layers.Dense(outputs, activation=activation)(x))


def run_convert(*arguments) -> Result:
    """Runs the command in this process, which has TensorFlow loaded."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def save(model: keras.Model, path):
    model.save(path)
    return path


def mediapipe_answer(file, picture, size: int) -> tuple[str, float]:
    """Label and score by a standard runner, from the file alone."""
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.ImageClassifierOptions(BaseOptions(model_asset_path=str(file)))
    try:
        created = vision.ImageClassifier.create_from_options(options)
    except OSError as error:
        if "libEGL" in str(error) or "libGLES" in str(error):
            lacks("needs the package libegl1 or libgles2")
        raise
    with created as standard:
        image = mediapipe.Image(mediapipe.ImageFormat.SRGB, read_pixels(picture, size).copy())
        best = standard.classify(image).classifications[0].categories[0]
    return best.category_name, best.score


def pictures(dataset) -> np.ndarray:
    return np.stack([read_pixels(path, SIZE) for path in find_pictures(dataset / "Testing")])
