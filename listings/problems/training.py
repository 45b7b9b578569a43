"""Problems of the isolated training run."""

from __future__ import annotations

from listings.problems.base import Problem, fix_and_rebuild

_TRAINING = "SageMaker developer guide, How Amazon SageMaker Runs Your Training Image"
_OUTPUT = "SageMaker developer guide, How Amazon SageMaker Processes Training Output"
_TUNING = "SageMaker developer guide, Define Hyperparameters and Objective Metrics for automatic model tuning"
_PIPE = "SageMaker developer guide, How Amazon SageMaker Provides Training Information: input data, Pipe mode"
_FAST_FILE = "SageMaker developer guide, Access Training Data: FastFile mode"
_STOP = "SageMaker developer guide, Use Your Own Training Algorithms: run your training image with docker stop"
_SLIPWAY = "Slipway, docs/twin.md"


PROBLEMS: tuple[Problem, ...] = (
    fix_and_rebuild(
        "TEST-TRAIN-EXIT",
        "Training failed",
        "The container started with the argument train ended with exit code {exit_code}: {meaning}. "
        "SageMaker marks a training job as failed on any exit code but 0.",
        "Read the last lines of the log, or the file /opt/ml/output/failure, fix the error, and end with 0.",
        _TRAINING,
        "Training ended with exit code 0.",
    ),
    fix_and_rebuild(
        "TEST-TRAIN-MODEL",
        "Training left no model",
        "Training ended with exit code 0, but /opt/ml/model holds no file, so SageMaker would upload an empty archive.",
        "Write the trained model into /opt/ml/model before the program ends.",
        _OUTPUT,
        "Training left {files} model files, {bytes} bytes packed.",
    ),
    fix_and_rebuild(
        "TEST-TRAIN-METRICS",
        "A metric was never printed",
        "The regular expression of {missing} matched no line of the training log with a number.",
        "Print the metric in the form that its Regex expects, or correct the Regex in MetricDefinitions. "
        "The number must be the first group.",
        "SageMaker developer guide, Define Training Metrics",
        "All {count} declared metrics were found in the training log.",
    ),
    fix_and_rebuild(
        "TEST-METRICS-SLOW",
        "A metric expression takes too long",
        "The Regex of {name} was not done with this log after 20 seconds, so no metric was read.",
        "Avoid nested repetition such as (a+)+ in the Regex; anchor it on the words around the number.",
        _SLIPWAY,
    ),
    fix_and_rebuild(
        "TEST-TRAIN-TIMEOUT",
        "Training took longer than allowed",
        "Training had not ended after {limit} seconds and was stopped.",
        "Use smaller samples or fewer iterations in tests.training, raise its timeout_seconds (up to three quarters of "
        "this portal's limit for a whole test), or look in the log for what the program waits for.",
        "slipway.yaml, tests.training.timeout_seconds",
    ),
    fix_and_rebuild(
        "TEST-TRAIN-IDLE",
        "Training stood still",
        "The container printed nothing and used no CPU for {limit} seconds, and was stopped.",
        "Look in the log for what the program waits for: often a call to the network, a lock, or missing input.",
        _SLIPWAY,
    ),
    fix_and_rebuild(
        "TEST-MODEL-FILES",
        "Something in the model directory is no plain file",
        "{count} entries of /opt/ml/model were left out of model.tar.gz: links that lead out of it, pipes, sockets or "
        "devices.",
        "Write plain files and directories into /opt/ml/model, and copies in place of links.",
        _OUTPUT,
        "All of /opt/ml/model went into model.tar.gz.",
    ),
    fix_and_rebuild(
        "TEST-METRICS-OBJECTIVE",
        "The objective of a tuning job cannot be read",
        "SupportedTuningJobObjectiveMetrics names {missing}, of which this training's log gives no number, so that a "
        "tuning job could not compare its trainings.",
        "Print the objective metric in the form that its Regex expects, at least once, at the end of training.",
        _TUNING,
        "The log gives a final value of each objective metric: {names}.",
    ),
    fix_and_rebuild(
        "TEST-METRICS-NAN",
        "A metric was no number",
        "{names} was printed as nan or infinite {count} times; such values are no metrics.",
        "Look why the training diverges with this sample, or print the metric only once it has a value.",
        "SageMaker developer guide, Define Training Metrics",
    ),
    fix_and_rebuild(
        "TEST-TRAIN-PIPE",
        "Training does not work in Pipe mode",
        "The channels {names} declare Pipe in SupportedInputModes, but in Pipe mode {reason}.",
        "Read /opt/ml/input/data/<channel>_0 from its start to its end as one stream, close it, and open <channel>_1 "
        "for the next epoch; there is no directory of files. If the program needs files, remove Pipe from "
        "SupportedInputModes.",
        _PIPE,
        "Training read {names} through pipes.",
    ),
    fix_and_rebuild(
        "TEST-TRAIN-FASTFILE",
        "Training does not work in FastFile mode",
        "The channels {names} declare FastFile in SupportedInputModes, but in FastFile mode {reason}.",
        "A FastFile channel is a read-only mount: write scratch files to /tmp, and read each file from its start to "
        "its end. If the program must write beside its data, remove FastFile from SupportedInputModes.",
        _FAST_FILE,
        "Training read {names} from read-only mounts.",
    ),
    fix_and_rebuild(
        "TEST-TRAIN-TUNING",
        "Training fails in a tuning job",
        "A tuning job adds the hyperparameter _tuning_objective_metric. With it, and nothing else changed, "
        "training {how}.",
        "Ignore hyperparameters that the program does not know, at least those whose name begins with an underscore.",
        _TUNING,
        "Training accepts the hyperparameter that a tuning job adds.",
    ),
    fix_and_rebuild(
        "TEST-TRAIN-STOP",
        "Training takes no notice of SIGTERM",
        "SageMaker stops a training with SIGTERM, and kills it 120 seconds later. Here {reason}.",
        "Install a handler for SIGTERM that saves what there is and ends: process 1 of a container has none unless it "
        "installs one. Write ENTRYPOINT in exec form and start the program with exec in scripts, so that the "
        "signal reaches it and not the shell.",
        _STOP,
        "Training ended {seconds} s after SIGTERM, with exit code {exit_code}.",
    ),
    fix_and_rebuild(
        "TEST-TRAIN-EMPTY",
        "Training crashes on an empty channel",
        "With several hosts, ShardedByS3Key can leave one without a file. With {name} empty, training {how} "
        "and left no reason in /opt/ml/output/failure.",
        "Skip the work where a channel is empty, or end with a sentence in /opt/ml/output/failure that says so.",
        _TRAINING,
        "With {name} empty, training ends well or says what is wrong.",
    ),
    fix_and_rebuild(
        "TEST-VALUES-ACCEPTED",
        "Bad hyperparameters are accepted",
        "Training went on with {values}, which slipway.yaml rules out.",
        "Check every hyperparameter against its declared type and range before the work begins, and end with another "
        "exit code than 0 where one is wrong or missing.",
        _SLIPWAY,
        "Training refused each of {count} bad hyperparameters.",
    ),
    fix_and_rebuild(
        "TEST-VALUES-REASON",
        "A failure gives no reason",
        "Training failed on {values}, as it should, but left nothing in /opt/ml/output/failure. A buyer sees no other "
        "reason than what is in that file.",
        "Catch the error, write one sentence that names the hyperparameter into /opt/ml/output/failure, and end with "
        "another exit code than 0.",
        _OUTPUT,
        "Training left a reason for each of {count} bad hyperparameters that it refused.",
    ),
)
