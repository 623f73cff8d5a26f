"""The eighth floor: monitors over the prediction log, and the alerts that they raise. Nothing is configured."""
