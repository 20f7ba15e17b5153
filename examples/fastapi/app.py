"""A FastAPI service whose users sign in at Cloakroom: uvicorn app:app --port 9000"""

from cloakroom import REFUSALS, CurrentUser, TokenAccount
from fastapi import FastAPI

app = FastAPI(title="Reports")


@app.get("/private", responses=REFUSALS)
async def read_private(user: CurrentUser) -> dict[str, str]:
    """The session cookie: refused at once when the session ends."""
    return {"username": user.username, "private": "get some private data"}


@app.post("/reports", responses=REFUSALS, status_code=201)
async def add_report(text: str, user: CurrentUser) -> dict[str, str]:
    return {"owner": user.id, "text": text}


@app.get("/reports", responses={401: REFUSALS[401]})
def list_reports(account: TokenAccount) -> dict[str, str]:
    """An access token: no request to Cloakroom, up to five minutes late."""
    return {"owner": account}
