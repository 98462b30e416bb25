"""Where one photo of a scene lies in another: SIFT keypoints, MAGSAC homography, and the reasons to refuse.

Lowe 2004 (keypoints and their ratio test), Arandjelovic and Zisserman 2012 (RootSIFT), Barath et al. 2020 (MAGSAC++),
Brown and Lowe 2007 (how many inliers prove that two photos show one scene). Pixels are counted at their centres: the
middle of the first one is (0, 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from training.commandline import UserError

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]
WORKING_PX = 1600  # long side on which keypoints are looked for: finer ones differ between two cameras
KEYPOINTS = 6000  # at most, the strongest
NEAREST_TO_SECOND = 0.8  # ratio of distances, Lowe 2004, section 7.1
INLIER_PX = 2.0  # on the working size
MIN_INLIERS = 20
MIN_SCALE, MAX_SCALE = 0.75, 8.0  # DSLR px per phone px; below, the DSLR's side would be the less sharp one
MAX_STRETCH = 1.5  # longest to shortest scale at any corner: a plane seen more obliquely is no common view
MIN_SHARE = 0.1  # of the phone photo that the DSLR photo covers
MIN_SPAN = 0.03  # of the common view that the inliers span


class AlignmentError(UserError):
    """Two photos cannot be laid on each other; the message says why."""


@dataclass(frozen=True)
class Keypoints:
    """points [N, 2] float64: x, y in px of the whole photo; descriptors [N, 128] float32; size: (height, width)."""

    points: Floats
    descriptors: Floats
    size: tuple[int, int]


@dataclass(frozen=True)
class Alignment:
    """homography [3, 3]: phone px -> DSLR px, the last element 1.

    residual_px: root mean square over the inliers, in phone px. scale: DSLR px per phone px in the common part.
    """

    homography: Floats
    matches: int
    inliers: int
    residual_px: float
    scale: float


def project(homography: Floats, points: Floats) -> Floats:
    """[N, 2] -> [N, 2]."""
    lifted = np.column_stack([points, np.ones(len(points))]) @ homography.T
    return lifted[:, :2] / lifted[:, 2:]


def corners(size: tuple[int, int]) -> Floats:
    """[4, 2]: centres of the corner pixels of (height, width), clockwise from the top left."""
    height, width = size
    return np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], np.float64)


def find_keypoints(pixels: Pixels) -> Keypoints:
    """SIFT on the luminance of [H, W, 3] uint8 sRGB, its contrast stretched: phone photos are often dull."""
    height, width = pixels.shape[:2]
    shrink = min(1.0, WORKING_PX / max(height, width))
    small = cv2.resize(pixels, (round(width * shrink), round(height * shrink)), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    low, high = np.percentile(grey, (0.5, 99.5))
    stretched = ((grey - low) * (255 / max(high - low, 16))).clip(0, 255).astype(np.uint8)
    found, descriptors = cv2.SIFT.create(KEYPOINTS, enable_precise_upscale=True).detectAndCompute(stretched, None)
    if descriptors is None:
        return Keypoints(np.empty((0, 2)), np.empty((0, 128), np.float32), (height, width))
    root = np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6))
    points = np.array([keypoint.pt for keypoint in found], np.float64)
    ratio = np.array([width / small.shape[1], height / small.shape[0]])
    return Keypoints((points + 0.5) * ratio - 0.5, root, (height, width))


def match(phone: Keypoints, dslr: Keypoints) -> tuple[Floats, Floats]:
    """Points of both, [M, 2] each, that are each other's nearest and clearly nearer than the second."""
    if min(len(phone.points), len(dslr.points)) < 2:
        return np.empty((0, 2)), np.empty((0, 2))
    likeness = phone.descriptors @ dslr.descriptors.T  # cosine: squared distance is 2 - 2 * likeness
    nearest = likeness.argmax(axis=1)
    rows = np.arange(len(nearest))
    best = likeness[rows, nearest]
    mutual = likeness.argmax(axis=0)[nearest] == rows
    likeness[rows, nearest] = -1
    second = likeness.max(axis=1)
    clear = (1 - best) < NEAREST_TO_SECOND**2 * (1 - second)
    chosen = mutual & clear
    # Two keypoints at one place with two directions would count as two proofs.
    _, once = np.unique(phone.points[chosen].round(1), axis=0, return_index=True)
    return phone.points[chosen][once], dslr.points[nearest[chosen]][once]


def align(phone: Keypoints, dslr: Keypoints) -> Alignment:
    """Raises AlignmentError with the reason where the two are not surely one scene from one place."""
    here, there = match(phone, dslr)
    if len(here) < MIN_INLIERS:
        raise AlignmentError(
            f"only {len(here)} keypoints match, {MIN_INLIERS} are needed: no common scene or no detail"
        )
    # MAGSAC++ weighs residuals on the working size of the DSLR photo, where the two are about equally fine.
    working = WORKING_PX / max(WORKING_PX, *dslr.size)
    found, mask = cv2.findHomography(
        here, there * working, cv2.USAC_MAGSAC, INLIER_PX, confidence=0.9999, maxIters=20_000
    )
    if found is None:
        raise AlignmentError(f"{len(here)} keypoints match, but no homography fits them")
    homography = np.diag([1 / working, 1 / working, 1.0]) @ np.asarray(found, np.float64)
    inside = mask.ravel().astype(bool)
    inliers = int(inside.sum())
    _check_geometry(homography, phone.size, dslr.size)
    _check_evidence(homography, here, there, inside, phone.size, dslr.size)
    back = project(np.linalg.inv(homography), there[inside])
    residual_px = float(np.sqrt(np.mean(np.sum((back - here[inside]) ** 2, axis=1))))
    common = here[inside].mean(axis=0)
    scale = float(np.sqrt(np.linalg.det(_jacobian(homography, common))))
    return Alignment(homography / homography[2, 2], len(here), inliers, residual_px, scale)


def overlap(homography: Floats, phone: tuple[int, int], dslr: tuple[int, int]) -> Floats:
    """[K, 2] float32: the convex part of the phone photo that the DSLR photo covers, in phone px; K is 0 if none."""
    frame = project(np.linalg.inv(homography), corners(dslr)).astype(np.float32)
    area, polygon = cv2.intersectConvexConvex(corners(phone).astype(np.float32), frame)
    return np.asarray(polygon, np.float32).reshape(-1, 2) if area > 0 else np.empty((0, 2), np.float32)


def _jacobian(homography: Floats, point: Floats) -> Floats:
    """[2, 2]: how the homography stretches the surroundings of a point [2]."""
    x, y, w = homography @ np.array([*point, 1.0])
    return (
        np.array([homography[0, :2] * w - x * homography[2, :2], homography[1, :2] * w - y * homography[2, :2]]) / w**2
    )


def _check_geometry(homography: Floats, phone: tuple[int, int], dslr: tuple[int, int]) -> None:
    """Two cameras side by side: a bounded scale, hardly any perspective, no mirror."""
    lifted = np.column_stack([corners(phone), np.ones(4)]) @ homography.T
    if not np.isfinite(homography).all() or np.ptp(np.sign(lifted[:, 2])) > 0:
        raise AlignmentError("the homography folds the photo: no common scene")
    common = overlap(homography, phone, dslr)
    share = cv2.contourArea(common) / (phone[0] * phone[1]) if len(common) else 0.0
    if share < MIN_SHARE:
        raise AlignmentError(f"the photos share {share:.0%} of the phone's view, {MIN_SHARE:.0%} are needed")
    for corner in common:
        jacobian = _jacobian(homography, corner)
        long, short = np.linalg.svd(jacobian, compute_uv=False)
        if np.linalg.det(jacobian) <= 0 or long > MAX_STRETCH * short:
            raise AlignmentError("the homography mirrors or distorts the photo: no common scene, or seen from aside")
        if long > MAX_SCALE:
            raise AlignmentError(f"the scales differ {long:.1f} times, more than {MAX_SCALE:g}: no common scene")
        if short < MIN_SCALE:
            raise AlignmentError(
                f"the DSLR photo shows the scene with {short:.2f} px per phone px, {MIN_SCALE:g} are needed: "
                f"no common scene, or photos of too little resolution"
            )


def _check_evidence(
    homography: Floats, here: Floats, there: Floats, inside: npt.NDArray[np.bool_],
    phone: tuple[int, int], dslr: tuple[int, int],
) -> None:  # fmt: skip
    """Inliers as many as false matches would hardly be, and not all in one place."""
    polygon = overlap(homography, phone, dslr)
    seen = [cv2.pointPolygonTest(polygon, (float(x), float(y)), False) >= 0 for x, y in here]
    inliers, needed = int(inside.sum()), max(MIN_INLIERS, 8.0 + 0.3 * sum(seen))  # Brown and Lowe 2003, equation 10
    if inliers < needed:
        raise AlignmentError(f"only {inliers} of {len(here)} matches fit one homography, {needed:.0f} are needed")
    span = cv2.contourArea(cv2.convexHull(here[inside].astype(np.float32))) / cv2.contourArea(polygon)
    if span < MIN_SPAN:
        raise AlignmentError(f"matches that fit span {span:.0%} of the common view, {MIN_SPAN:.0%} are needed")
