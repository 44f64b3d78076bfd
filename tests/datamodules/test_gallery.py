import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

from maxl_lightning.datamodules.gallery import plot_images


def test_long_names_do_not_run_into_each_other():
    names = ["black-and-gold garden spider", "German short-haired pointer", "goldfish", "Old English sheepdog, bobtail"]
    figure = plot_images(torch.zeros(16, 3, 8, 8), names * 4, (0.5,) * 3, (0.2,) * 3)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [axes.title.get_window_extent(canvas.get_renderer()) for axes in figure.axes]
    pictures = [axes.get_window_extent(canvas.get_renderer()) for axes in figure.axes]
    assert not any(box.overlaps(other) for number, box in enumerate(boxes) for other in boxes[number + 1 :])
    assert not any(box.overlaps(other) for number, box in enumerate(boxes) for other in pictures[:number])
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
