"""Search with a model of your own: ask and tell with a random forest.

Which image gets most votes for the digit eight? The server proposes points of a box, 64
grey values from 0 to 16. The random forest in this process, which has no gradients,
returns its share of votes for each digit. The example needs scikit-learn and a server:
`blackbox-am serve`.

    python examples/03_your_own_model.py
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier

import blackbox_am
from blackbox_am.plots import Row, montage, save


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="localhost:50051")
    parser.add_argument("--queries", type=int, default=1000, help="for each digit")
    parser.add_argument("--out", default="forest.png")
    arguments = parser.parse_args()

    images, digits = load_digits(return_X_y=True)
    forest = RandomForestClassifier(100, random_state=0).fit(images, digits)

    with blackbox_am.connect(arguments.server) as client:
        study = client.create(
            targets=[f"forest:{digit}" for digit in range(10)],  # any names: no oracle checks them
            space=blackbox_am.SpaceSpec("box", 64, low=(0.0,), high=(16.0,)),
            queries_per_target=arguments.queries,
        )
        while not (candidates := study.ask()).done:
            votes = forest.predict_proba(candidates.latents)
            study.tell(candidates, votes[np.arange(len(candidates)), candidates.targets])

        found = study.best()
    for best in found:
        print(f"{best.title}: {best.score:.0%} of the trees")
    pictures = [best.latent.reshape(8, 8) / 16 for best in found]
    row = Row("best", pictures, [best.score for best in found])
    print("wrote", save(montage([row], [best.title for best in found]), arguments.out))


if __name__ == "__main__":
    main()
