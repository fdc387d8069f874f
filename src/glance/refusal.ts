// What a status of Glance's that is no success means for us.

import { AndironError } from "../common/errors.ts";

export function refusalOf(status: number, imageId: string): AndironError {
  if (status === 404) return new AndironError("image_not_found", `image ${imageId} could not be found`);
  if (status === 401 || status === 403)
    return new AndironError("image_forbidden", `Glance answers ${status} for image ${imageId}`);
  if (status === 400 || status === 409 || status === 413 || status === 415 || status === 416)
    return new AndironError("image_unacceptable", `Glance answers ${status} for image ${imageId}`);
  return new AndironError("glance_unavailable", `Glance answers ${status} for image ${imageId}`);
}
