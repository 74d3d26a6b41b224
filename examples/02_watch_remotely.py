"""Run a search on a server and watch its progress. This process loads no model.

blackbox-am serve                        # in one terminal
python examples/02_watch_remotely.py     # in another, or on another machine
"""

import argparse

import blackbox_am
from blackbox_am.client import GenerationClosed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="localhost:50051")
    parser.add_argument("--queries", type=int, default=500, help="for each unit")
    arguments = parser.parse_args()

    with blackbox_am.connect(arguments.server) as client:
        study = client.create(
            targets=["head:5", "head:8"],
            oracle="cifar_cnn",
            generator="cifar_vae",
            queries_per_target=arguments.queries,
        )
        print("created", study.id)

        # Events arrive in order and without gaps, also after a lost connection. The study
        # continues if this loop ends early; `client.study(id)` returns it later.
        for event in study.watch():
            if isinstance(event, GenerationClosed):
                scores = ", ".join(f"{score:.2f}" for score in event.best_scores)
                print(f"generation {event.generation}: {scores}")

        for best in study.best(stimuli=True):
            print(f"{best.title}: {best.score:.3f}, a stimulus of shape {best.stimulus.shape}")


if __name__ == "__main__":
    main()
