// SPDX-License-Identifier: MIT
//
// Methods that draw items on ratings: recommend's, with the steps and the judging of this program.
#include <algorithm>
#include <vector>

#include <recommend/drawing_methods.hpp>

#include "arena.hpp"

namespace sweep {

method_run method::run_on_ratings(arena const& on, double number) const {
  auto const& at = on.on_ratings();
  auto const& how = on.options();
  run_meter meter;
  recommend::model policy = at.start();
  recommend::reward_model reward = at.reward();
  recommend::model* moving = &policy;
  recommend::drawing_task task{.policy = policy,
                               .start = at.start(),
                               .reward = reward,
                               .people = at.people(),
                               .amount = {.per_step = how.batch,
                                          .times = how.online_steps(),
                                          .completions = group,
                                          .passes = ppo_epochs},
                               .training = {},
                               .strength = number,
                               .moves = [&](recommend::model& next) { moving = &next; }};
  task.training = falling_rate(how.rate, recommend::steps_of(name(), task));
  task.training.seed = on.seed();
  std::size_t const values = name() == "ppo" ? at.people().size() : 0;
  method_run out{.points = {},
                 .held = {.trained = at.parameters() + values,
                          .asked = 2 * at.parameters(),
                          .number = sizeof(float)}};
  task.guard.on_step = [&](std::uint64_t step, std::uint64_t planned) {
    auto const judged = arena::judged_at(planned);
    if (std::find(judged.begin(), judged.end(), step) == judged.end()) return;
    meter.hold();
    out.points.push_back(at.judge(recommend::said_by(*moving), step,
                                  at.spent(recommend::drawn_after(name(), task, step))));
    out.points.back().seconds = at.reward_seconds() + meter.seconds();
    meter.go();
  };
  (void)recommend::train_by_drawing(name(), task);
  meter.hold();
  out.peak_bytes = std::max(at.reward_peak_bytes(), meter.peak_bytes());
  return out;
}

}  // namespace sweep
