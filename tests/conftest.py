"""One thread for torch, here and in every process that a test starts.

Matrix products round otherwise with another number of threads, and many tests compare
two processes to the last bit.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"
