"""The ninth floor: policies that turn an alert into a better model, or find that there is none."""
