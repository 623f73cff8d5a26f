"""Serving: endpoints, traffic plans, the dataplane, the prediction log and rollouts that are judged sequentially."""
