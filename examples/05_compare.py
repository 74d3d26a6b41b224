"""Compare gradient ascent with gradient-free search on two units, and write a report.

python examples/05_compare.py --budget 1000 --seeds 5 --out comparison/
"""

import argparse

import blackbox_am
from blackbox_am.comparisons.metrics import metrics


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", type=int, default=1000, help="query-equivalents")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", default="comparison")
    arguments = parser.parse_args()

    # A forward pass costs 1 query-equivalent, a forward and a backward pass cost 2. All methods
    # search the same latents from the same start distribution. A repeated call continues.
    result = blackbox_am.compare(
        oracle="cifar_cnn",
        generator="cifar_vae",
        units=["layer3:77", "head:3"],
        methods=["adam", "sep_cma", "auto"],
        budget=arguments.budget,
        seeds=arguments.seeds,
        out=arguments.out,
    )
    for name, found in metrics(result).by_method.items():
        numbers = found.numbers
        print(f"{name}: {numbers.relative:.2f} x the best natural image, {numbers.rows:.0f} rows")
    for part in result.protocol:
        if not part.kept:
            print(f"not kept: {part.text}")
    print(f"wrote {arguments.out}/report.html")


if __name__ == "__main__":
    main()
