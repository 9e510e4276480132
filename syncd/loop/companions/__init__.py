"""What a study refers to, written or found before it: Patient, Endpoint, orders, devices, Provenance."""
