"""Which inputs of a model matter: Sobol indices of a random forest, and the accuracy without some.

A random forest predicts the progression of diabetes from ten measurements of a patient
(scikit-learn's data set). The example ranks the measurements, fixes those of low index at their
mean, one after another, and measures R^2 each time, on patients that the forest has not seen. It
needs `pip install 'blackbox-am[analysis,sklearn]'`.

    python examples/06_which_inputs_matter.py
"""

import argparse

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor

from blackbox_am.analysis.sensitivity import prune, sobol
from blackbox_am.oracles.sklearn import Sklearn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=512, help="a power of 2")
    parser.add_argument("--out", default="diabetes")
    arguments = parser.parse_args()

    data = load_diabetes()
    order = np.random.default_rng(0).permutation(len(data.target))
    inputs, answers = data.data[order], data.target[order]
    low, high = inputs.min(0), inputs.max(0)
    forest = RandomForestRegressor(100, random_state=0).fit(inputs[:300], answers[:300])

    model = Sklearn(forest, (10,), low=low, high=high)  # a stimulus of 0 is `low`, 1 is `high`
    found = sobol(model, "predict:0", names=data.feature_names, samples=arguments.samples)
    unseen = ((inputs[300:] - low) / (high - low)).astype(np.float32)
    report = prune(model, "predict", found.indices, unseen, answers[300:])

    for name, total in zip(found.indices.names, found.indices.total, strict=True):
        print(f"{name}: {total:.3f}")
    print(report.in_words(tolerance=0.02))
    print(f"wrote {found.with_pruning(report).save(arguments.out)}")


if __name__ == "__main__":
    main()
