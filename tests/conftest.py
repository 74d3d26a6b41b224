"""One thread for torch, here and in every process that a test starts.

Matrix products round otherwise with another number of threads, and many tests compare
two processes to the last bit.
"""

import os
import signal

os.environ["OMP_NUM_THREADS"] = "1"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background, a shell has it ignored, and so would every process of the tests.
    signal.signal(signal.SIGINT, signal.default_int_handler)
