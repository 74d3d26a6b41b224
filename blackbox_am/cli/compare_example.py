"""The example that `blackbox-am compare --example` prints."""

EXAMPLE = """\
# A comparison of gradient ascent with gradient-free search on the shipped models.
#
#     blackbox-am compare examples/comparisons/cifar.toml --out comparison/
#
# All methods search the same units in the latent space of the same generator, and begin at samples
# of its prior. Each method and seed is one study of all units.

version = 1
name = "cifar"
oracle = "cifar_cnn"                  # `blackbox-am catalog oracles` lists the names
generator = "cifar_vae"               # `blackbox-am catalog generators`

# The units: five of each of four layers, evenly spaced. Or name them:
# units = ["head:3", "layer3:77", "head:3 - 0.5*head:5"]
layers = ["layer1", "layer2", "layer3", "head"]
units_per_layer = 5
# tuning_units = ["head:9"]           # parameters were tuned on these; none of them is searched
# penalties = { "stimulus.tv" = 20 }  # measures that are subtracted from every score

# The budget of each method, unit and seed. A forward pass costs 1, a forward and a backward pass
# cost 2: a gradient method measures half as many rows.
budget = 1000
seeds = 5                             # or a list, such as [0, 1, 7]

baseline = "shipped"                  # natural images, measured once; "" for none
second = "cifar_vit"                  # what was found is shown to this model too (transfer)
independent = "cifar_vit"             # its features say how natural a stimulus looks

# The methods. A random search is added as a reference.
[[methods]]
name = "adam"                         # gradient ascent; also the name of the optimizer
parameters = { restarts = 2 }         # two ascents, one after the other, share the budget

[[methods]]
name = "sep_cma"

[[methods]]
name = "auto"

# [[methods]]
# name = "small steps"                # any name, and
# optimizer = "adam"                  # the optimizer,
# parameters = { learning_rate = 0.02 }
# budget = 2000                       # another budget than that of the others
# reference = true                    # shown, and not compared

# Your own models, as in the configuration of a server (`blackbox-am serve --help`):
# [oracles.mine]
# kind = "onnx"
# model = "classifier.onnx"
"""
