"""What runs inside nnU-Net's environment. ``order.py`` is the one file that both sides read."""
