"""Set-up of Slipway on one machine, run as `python3 -m bootstrap <verb>`.

Standard library only: it runs before anything is installed. It imports nothing of the product.
"""
