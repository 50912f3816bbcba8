"""A stand-in for Meta: the Graph API on one side, a phone to type on on the other.

Read downward: `app` puts the parts together; `graph` and `control` speak HTTP; `exchange` is what
Meta does between the API and the phone; `phone`, `people`, `media` and `limits` hold the state;
`webhooks` tells the backend about it; `faults` are the switches that make Meta misbehave.
"""
