# Every public header, listed, one list per component, sorted; paths are relative to include/prefer.
# tests/tree/header_lists.test.cpp compares these lists with the files on disk.

set(prefer_core_headers
  batch/choices.hpp
  batch/columns.hpp
  batch/record.hpp
  beta/schedule.hpp
  expects.hpp
  file/archive.hpp
  file/atomic_file.hpp
  file/binary_file.hpp
  file/fingerprint.hpp
  loss/catalogue.hpp
  loss/diffusion_dpo.hpp
  loss/dpo.hpp
  loss/hinge.hpp
  loss/ipo.hpp
  loss/kto.hpp
  loss/loss.hpp
  loss/nll.hpp
  loss/parameter.hpp
  loss/plackett_luce.hpp
  loss/simpo.hpp
  loss/softmax_dpo.hpp
  objective/diagnose.hpp
  objective/evaluate.hpp
  objective/metrics.hpp
  parallel/executor.hpp
  policy/choice_ids.hpp
  policy/denoiser.hpp
  policy/factorized.hpp
  policy/log_linear.hpp
  policy/matrix_product.hpp
  policy/noise_schedule.hpp
  policy/parameter.hpp
  policy/policy.hpp
  policy/softmax.hpp
  policy/tabular.hpp
  prefer.hpp
  reference/cached.hpp
  reference/frozen.hpp
  reference/none.hpp
  reference/reference.hpp
  scalar/dual.hpp
  scalar/lane.hpp
  scalar/lane_math.hpp
  scalar/math.hpp
  scalar/probe.hpp
  scalar/scalar.hpp
  spelling.hpp
  train/adamw.hpp
  train/clip.hpp
  train/learning_rate.hpp
  train/minibatch.hpp
  train/parameter_blocks.hpp
  train/random.hpp
  train/trainer.hpp
  version.hpp
)

# The components, each with at most one thing more than the core.
set(prefer_report_headers
  report/csv.hpp
  report/label_placement.hpp
  report/line_plot.hpp
  report/number.hpp
  report/progress.hpp
  report/svg.hpp
  report/table.hpp
  report/ticks.hpp
  report/utf8.hpp
)

set(prefer_data_headers
  data/example.hpp
  data/json_lines.hpp
  data/lines.hpp
  data/place.hpp
  data/preference.hpp
  data/ratings.hpp
  data/rows.hpp
  data/utf8.hpp
)

set(prefer_threads_headers
  parallel/thread_pool.hpp
)

set(prefer_eigen_headers
  adapters/eigen.hpp
)

set(prefer_ranges_headers
  adapters/ranges.hpp
)

set(prefer_fmt_headers
  adapters/fmt.hpp
)
