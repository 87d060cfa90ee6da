"""The parts of `oneshot select`: candidates, histories, notes and the table."""
