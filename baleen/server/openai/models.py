"""`GET /models`: the names of the one model this server offers."""

from fastapi import APIRouter

from baleen.server.openai.responses import ErrorBody, ModelCard, ModelList
from baleen.server.served_model import ServedModel


def models_router(model: ServedModel) -> APIRouter:
    """The endpoint under DeepSeek's path and OpenAI's."""
    router = APIRouter()

    async def models() -> ModelList:
        cards = [ModelCard(id=name, object="model", created=0, owned_by="baleen") for name in model.names]
        return ModelList(object="list", data=cards)

    for path in ("/v1/models", "/models"):
        router.add_api_route(
            path,
            models,
            methods=["GET"],
            responses={401: {"model": ErrorBody}},
            include_in_schema=path.startswith("/v1"),
        )
    return router
