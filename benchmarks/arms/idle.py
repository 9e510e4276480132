"""stub"""
def rows(session, plan):
    yield from ()
