"""Many simulated devices that speak to a running server: see `manage.py simulate_fleet`."""
