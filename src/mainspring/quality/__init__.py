"""Quality: expectations, profiles, drift, evaluation, and the reports that say what was found."""
