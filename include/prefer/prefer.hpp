// SPDX-License-Identifier: MIT
#pragma once

// The whole core in one include. It depends on the standard library alone.

#include <prefer/batch/columns.hpp>
#include <prefer/batch/record.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/atomic_file.hpp>
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
#include <prefer/objective/evaluate.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/scalar/dual.hpp>
#include <prefer/scalar/lane.hpp>
#include <prefer/scalar/lane_math.hpp>
#include <prefer/scalar/math.hpp>
#include <prefer/scalar/probe.hpp>
#include <prefer/scalar/scalar.hpp>
#include <prefer/version.hpp>
