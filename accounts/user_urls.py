from __future__ import annotations

from accounts.user_views import UserViewSet
from homepot.routers import OptionalSlashRouter

router = OptionalSlashRouter()
router.register("users", UserViewSet, basename="user")

urlpatterns = router.urls
