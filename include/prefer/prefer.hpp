// SPDX-License-Identifier: MIT
#pragma once

// The core in one include; it depends on the standard library alone. Outside: loss/catalogue.hpp (losses by
// name, for tools), the thread pool, and the components.

#include <prefer/batch/choices.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/batch/record.hpp>
#include <prefer/beta/schedule.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/archive.hpp>
#include <prefer/file/atomic_file.hpp>
#include <prefer/file/binary_file.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/loss/diffusion_dpo.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/hinge.hpp>
#include <prefer/loss/ipo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/loss/nll.hpp>
#include <prefer/loss/parameter.hpp>
#include <prefer/loss/plackett_luce.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/loss/softmax_dpo.hpp>
#include <prefer/objective/diagnose.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/objective/metrics.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/policy/choice_ids.hpp>
#include <prefer/policy/denoiser.hpp>
#include <prefer/policy/factorized.hpp>
#include <prefer/policy/log_linear.hpp>
#include <prefer/policy/matrix_product.hpp>
#include <prefer/policy/noise_schedule.hpp>
#include <prefer/policy/parameter.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/policy/softmax.hpp>
#include <prefer/policy/tabular.hpp>
#include <prefer/reference/cached.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/reference/reference.hpp>
#include <prefer/scalar/dual.hpp>
#include <prefer/scalar/lane.hpp>
#include <prefer/scalar/lane_math.hpp>
#include <prefer/scalar/math.hpp>
#include <prefer/scalar/probe.hpp>
#include <prefer/scalar/scalar.hpp>
#include <prefer/train/adamw.hpp>
#include <prefer/train/clip.hpp>
#include <prefer/train/learning_rate.hpp>
#include <prefer/train/minibatch.hpp>
#include <prefer/train/parameter_blocks.hpp>
#include <prefer/train/random.hpp>
#include <prefer/train/trainer.hpp>
#include <prefer/version.hpp>
