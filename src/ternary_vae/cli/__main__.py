"""`python -m ternary_vae.cli`, which is `ternary-vae`."""

from ternary_vae.cli import main

if __name__ == "__main__":
    main()
