"""Find the stimuli that excite two units of a model most, in this process without a server.

python examples/01_maximise_here.py --queries 2000 --out here.png
"""

import argparse

import blackbox_am
from blackbox_am.plots import Row, montage, save


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=1000, help="for each unit")
    parser.add_argument("--out", default="here.png")
    arguments = parser.parse_args()

    # The targets are a class logit and the mean of a channel of the third stage. One search
    # covers both: every forward pass serves candidates of both targets.
    result = blackbox_am.maximise(
        oracle="cifar_cnn",
        generator="cifar_vae",
        targets=["head:3", "layer3:77"],
        optimizer="cma",
        queries_per_target=arguments.queries,
        on_generation=lambda progress: print(f"\r{progress.search_rows:,} queries", end=""),
    )
    print()
    for best in result.best:
        print(f"{best.title}: {best.score:.3f}, candidate {best.candidate}")

    pictures = [best.stimulus for best in result.best]
    scores = [best.score for best in result.best]
    titles = [best.title for best in result.best]
    print("wrote", save(montage([Row("best", pictures, scores)], titles), arguments.out))


if __name__ == "__main__":
    main()
